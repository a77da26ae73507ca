"""The audit trail: one record of everything that people, commands and API keys change."""
