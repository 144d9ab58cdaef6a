"""ARouter: a self-hosted LLM gateway that remembers what each end user used and what it cost."""

__version__ = "0.1.0"
