"""Every collector, in the order of the bundle. Adding one is a module here and a line in the tuple."""

from bilbs_cli.diag.collectors.bmc import BMC
from bilbs_cli.diag.collectors.gpu import GPU
from bilbs_cli.diag.collectors.kernel import KERNEL
from bilbs_cli.diag.collectors.network import NETWORK
from bilbs_cli.diag.collectors.pci import PCI
from bilbs_cli.diag.collectors.services import SERVICES
from bilbs_cli.diag.collectors.storage import STORAGE
from bilbs_cli.diag.collectors.system import SYSTEM
from bilbs_cli.diag.job import Collector

COLLECTORS: tuple[Collector, ...] = (GPU, BMC, KERNEL, PCI, STORAGE, NETWORK, SYSTEM, SERVICES)
