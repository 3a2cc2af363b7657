package broker

// storeLimit leaves the bound to the disk.
func storeLimit(string) (int64, error) { return unlimited, nil }
