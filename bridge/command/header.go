package command

import "github.com/nats-io/nats.go"

// header is the header of a command that is held: names and values in turns. A map would take half a kilobyte.
type header []string

func compact(all nats.Header) header {
	if len(all) == 0 {
		return nil
	}
	h := make(header, 0, 2*len(all))
	for name, values := range all {
		for _, value := range values {
			h = append(h, name, value)
		}
	}
	return h
}

// Get returns the first value of a name, which is written as it stands in the header; empty if there is none.
func (h header) Get(name string) string {
	for i := 0; i < len(h); i += 2 {
		if h[i] == name {
			return h[i+1]
		}
	}
	return ""
}

// all returns the header as it came.
func (h header) all() nats.Header {
	if h == nil {
		return nil
	}
	all := make(nats.Header, len(h)/2)
	for i := 0; i < len(h); i += 2 {
		all[h[i]] = append(all[h[i]], h[i+1])
	}
	return all
}
