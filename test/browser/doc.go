// Package browser tests the chat widget of examples/widget, the agent's page of the simulated CX, and the console of the bridge, in a real
// Chromium: behind the build tag browser, after setup.sh.
package browser
