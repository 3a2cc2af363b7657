//go:build contract

package schema_test

// cases is how many commands are generated.
const cases = 100_000
