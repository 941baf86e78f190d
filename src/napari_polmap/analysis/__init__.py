"""What a map tells beyond directions: defects, errors."""
