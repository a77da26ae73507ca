"""What every app's admin uses: dialogs, lists, filters, charts. It knows nothing of keys."""
