"""No tables: with this module Django tells the app when migrations are done."""
