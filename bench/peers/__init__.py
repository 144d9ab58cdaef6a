"""Who is measured: ourselves, and others beside us in the same run. A peer is one row of `PEERS`, and one module."""

from bench.peers.arouter import AROUTER, RELAXED, SYSTEM_PYTHON, TWO_WORKERS
from bench.peers.envoy import ENVOY
from bench.peers.ferrogw import FERROGW, FERROGW_SQLITE
from bench.peers.litellm import LITELLM
from bench.peers.nginx import NGINX
from bench.peers.portkey import PORTKEY
from bench.peers.rolter import ROLTER
from bench.peers.tensorzero import TENSORZERO

PEERS = (
    *(AROUTER, SYSTEM_PYTHON, RELAXED, TWO_WORKERS),
    *(NGINX, ENVOY, ROLTER, FERROGW, FERROGW_SQLITE, TENSORZERO, PORTKEY, LITELLM),
)
