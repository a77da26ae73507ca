"""What every list shows above its table: filters in force, segments and saved filters."""
