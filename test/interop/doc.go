// Package interop holds the promise that any language's bot can drive conversations over the bus: it builds every bot of the folder
// examples with the official client of its language, and plays the same conversation with each, against the built binary and a simulated CX. Its
// tests stand behind the build tag interop; setup.sh installs what they need.
package interop
