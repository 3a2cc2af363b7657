package embedded

import (
	"errors"
	"fmt"
	"os"
)

// proofBytes is what must fit on the disk for a directory to count as writable.
const proofBytes = 1 << 20

// Writable proves that a directory can be written to: it writes a megabyte, syncs it and removes it again.
func Writable(dir string) error {
	file, err := os.CreateTemp(dir, "cxbridge-proof-*")
	if err != nil {
		return fmt.Errorf("store directory %s is not writable: %w", dir, err)
	}
	_, err = file.Write(make([]byte, proofBytes))
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close(), os.Remove(file.Name())); err != nil {
		return fmt.Errorf("store directory %s is not writable: %w", dir, err)
	}
	return nil
}
