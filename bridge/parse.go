package bridge

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// parse converts the text of an environment variable or a flag into the type of the key. Lists are separated by commas; an empty text
// is an empty list.
func (l leaf) parse(text string) (any, error) {
	var (
		value any
		err   error
	)
	switch {
	case l.kind == durationType:
		value, err = time.ParseDuration(text)
	case l.kind.Kind() == reflect.String:
		return text, nil
	case l.kind.Kind() == reflect.Bool:
		value, err = parseBool(text)
	case l.kind.Kind() == reflect.Float64:
		value, err = parseFloat(text)
	case l.kind.Kind() == reflect.Slice:
		return splitList(text), nil
	case isInteger(l.kind):
		value, err = strconv.ParseInt(text, 10, l.kind.Bits())
	default:
		err = fmt.Errorf("type %s cannot be configured", l.kind)
	}
	if err != nil {
		return nil, fmt.Errorf("%s", l.wants())
	}
	return value, nil
}

func parseBool(text string) (bool, error) {
	if text == "true" || text == "false" {
		return text == "true", nil
	}
	return false, strconv.ErrSyntax
}

func parseFloat(text string) (float64, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
		err = strconv.ErrRange
	}
	return f, err
}

func splitList(text string) []string {
	all := []string{}
	if strings.TrimSpace(text) == "" {
		return all
	}
	for item := range strings.SplitSeq(text, ",") {
		all = append(all, strings.TrimSpace(item))
	}
	return all
}
