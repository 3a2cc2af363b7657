// Package telemetry makes the logger and the registry of metrics of the process. It exports what others measure: each component owns its
// own instruments and registers them here.
package telemetry
