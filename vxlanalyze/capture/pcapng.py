class PcapngReader:
    def __init__(self, *a): pass
