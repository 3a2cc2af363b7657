package main

import "testing"

func TestEachPortIsGivenOnce(t *testing.T) {
	all, given := newPorts(), map[int]bool{}
	for range 50 {
		port, err := all.free()
		if err != nil {
			t.Fatal(err)
		}
		if given[port] || port < firstPort || port >= lastPort {
			t.Errorf("port %d", port)
		}
		given[port] = true
	}
}
