// Package browser tests the chat widget of examples/widget, and the agent's page of the simulated CX, in a real Chromium: behind the build tag
// browser, after setup.sh.
package browser
