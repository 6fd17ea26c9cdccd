"""bulkmsg: a declarative bulk importer of ticket messages for the Gorgias helpdesk."""

__version__ = "0.1.0"
