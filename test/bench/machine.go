package main

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"time"
)

// machine is how much CPU time everything together had used at one moment.
type machine struct {
	at    time.Time
	busy  time.Duration
	steal time.Duration // taken away by the host
	all   time.Duration
}

func lookAtMachine() (machine, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machine{}, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return machine{}, errors.New("/proc/stat is not understood")
	}
	m := machine{at: time.Now()}
	for i, field := range fields[1:9] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			return machine{}, err
		}
		spent := time.Duration(ticks) * clockTick
		m.all += spent
		switch i {
		case 3, 4: // idle, waiting for a disk
		case 7:
			m.steal += spent
		default:
			m.busy += spent
		}
	}
	return m, nil
}

// foreign is the share of the machine that others took between two looks, the host included.
func (m machine) foreign(before machine, own time.Duration) float64 {
	all := m.all - before.all
	if all <= 0 {
		return 0
	}
	return max(0, float64(m.busy-before.busy-own+m.steal-before.steal)/float64(all))
}
