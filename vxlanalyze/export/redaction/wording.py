"""Find addresses and names in sentences, paths and filters, and replace them by pseudonyms.

Names are those marked as names in a report (captures, pods, services, nodes, files, evidence with the unit
"name"). In addition, anything that looks like a domain name is treated as one, except for the program's own
words.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address

from vxlanalyze.export.redaction.addresses import AddressCipher
from vxlanalyze.planning.on_node import FILES

_MAC = r"(?<![\w:])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![\w:])"
_IPV4 = r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?!\w|\.\d)"
_IPV6 = (
    r"(?<![\w:.])(?=[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:)[0-9A-Fa-f:.]*[0-9A-Fa-f:](?:%\w+)?(?:/\d{1,3})?(?![\w:])"
)
_ADDRESS = f"{_MAC}|{_IPV6}|{_IPV4}"
_DOMAIN = r"(?<![\w.-])\w[\w-]*(?:\.[\w-]+)+"
_WORD = r"(?<![\w-])\w[\w-]*"
_NUMBER = re.compile(r"v?\d+(\.\d+)+[a-zA-Zµ]{0,3}")  # a version, or a quantity with its unit
_TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?"  # RFC 3339
_ORDINARY = re.compile(rf"{_DOMAIN}|{_WORD}")

# The program's own words with dots: fields of display filters, settings, files, devices.
_OWN_WORDS = frozenset(
    (
        *("Backend.Port", "Backend.VNI", "delay_ns.p99", "frame.cap_len", "frame.len", "e.g", "i.e"),
        *("flannel.1", "flannel.alpha.coreos.com", "vxlan.calico", "wireguard.cali"),
        *(
            "antrea-agent.conf",
            "before.txt",
            "chrony.conf",
            "cpu.stat",
            "net-conf.json",
            "node.pcap",
            "nm-cloud-setup.service",
        ),
        *("loadBalancer.dsrDispatch", "loadBalancer.mode", "securityContext.sysctls", "status.podIP"),
    )
)
# Comments in firewall rules: mostly names of services and tenants.
_COMMENT = re.compile(r'(--comment )("[^"]*"|\S+)|(\bcomment )("[^"]*")')
# Kernel settings, as sysctl names them.
_SYSCTL = re.compile(r"net\.(core|bridge|netfilter|ipv[46])(\.[a-z_][\w-]*)+")
# Labels common to all Kubernetes clusters (its DNS specification), and the domains of reverse look-ups.
_EVERYBODYS = frozenset(("svc", "cluster", "local", "kubernetes", "default", "in-addr", "ip6", "arpa"))


class Wording:
    """Replaces names in text by pseudonyms.

    Parameters
    ----------
    cipher : AddressCipher
        Gives the pseudonyms of addresses.
    """

    def __init__(self, cipher: AddressCipher) -> None:
        self._cipher = cipher
        self._names: dict[str, str] = {}
        self._labels: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None

    def know(self, name: str, pseudonym: str | None = None) -> str:
        """Treat a word as a name from now on; give its pseudonym, by default the next of ``name1``, ..."""
        if name.isdigit() or name in ("", *_EVERYBODYS):
            return name
        if name not in self._names:
            self._names[name] = pseudonym or f"name{len(self._names) + len(self._labels) + 1}"
            self._pattern = None
        return self._names[name]

    def domain(self, name: str) -> str:
        """Replace a domain name label by label, so that names below one domain stay together."""
        return ".".join(map(self._label, name.split(".")))

    def text(self, text: str) -> str:
        """Replace every address and name."""
        if self._pattern is None:
            odd = sorted((n for n in self._names if not _ORDINARY.fullmatch(n)), key=lambda n: (-len(n), n))
            kinds = [f"(?P<odd>{'|'.join(map(re.escape, odd))})"] if odd else []
            kinds += [f"(?P<time>{_TIME})", _ADDRESS, f"(?P<domain>{_DOMAIN})", f"(?P<word>{_WORD})"]
            self._pattern = re.compile("|".join(kinds))
        return self._pattern.sub(self._replaced, _COMMENT.sub(r'\1\3"..."', text))

    def filter(self, text: str) -> str:
        """Replace every address, and names in quotes: other words belong to the display filter's syntax."""
        text = re.sub(_ADDRESS, lambda found: self._address(found[0]), text)
        return re.sub(r'"([^"]*)"', lambda found: f'"{self.text(found[1])}"', text)

    def _replaced(self, found: re.Match[str]) -> str:
        kind, written = found.lastgroup, found[0]
        if kind is None:
            return self._address(written)
        if kind == "time":
            return written
        if kind == "domain" and not (
            written in self._names
            or written in _OWN_WORDS
            or written in FILES
            or _SYSCTL.fullmatch(written)
            or _NUMBER.fullmatch(written)
        ):
            return self.domain(written)
        return self._names.get(written, written)

    def _label(self, label: str) -> str:
        if label in self._names or label.lower() in _EVERYBODYS or label.isdigit() or not label:
            return self._names.get(label, label)
        if label not in self._labels:
            self._labels[label] = f"name{len(self._names) + len(self._labels) + 1}"
        return self._labels[label]

    def _address(self, written: str) -> str:
        if re.fullmatch(_MAC, written):
            return self._cipher.mac(bytes.fromhex(re.sub("[:-]", "", written))).hex(":")
        body = written.rstrip(".:") if written[-2:] != "::" else written  # a sentence may continue after it
        address, slash, length = body.partition("/")
        try:
            ip_address(address.partition("%")[0])
        except ValueError:
            return written
        try:
            changed = self._cipher.network(body) if slash else self._cipher.text(body)
        except ValueError:  # not a valid prefix length, but the address is revealing nevertheless
            changed = f"{self._cipher.text(address)}{slash}{length}"
        return changed + written[len(body) :]


def labels_of(names: Iterable[str]) -> list[str]:
    """The parts of names such as ``namespace/pod``, each once, in alphabetical order."""
    return sorted({part for name in names for part in name.split("/")})
