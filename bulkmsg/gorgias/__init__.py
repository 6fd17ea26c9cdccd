"""The helpdesk's API: `wire` says how requests are written and listings read (pure), `client` sends them."""
