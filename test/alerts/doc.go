// Package alerts tests deploy/prometheus and deploy/grafana against bridges that run: a real Prometheus reads their metrics while the condition of
// each alert is caused for real. It needs the build tag alerts, and setup.sh, which builds Prometheus.
package alerts
