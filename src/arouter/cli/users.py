"""`arouter users`."""

from arouter.cli.options import application
from arouter.cli.user_rules import register

app = application(help="What is known and said of end users.", no_args_is_help=True)

register(app)
