package cxsim

import (
	"embed"
	"net/http"
)

//go:embed static
var static embed.FS

// policy lets the page load and ask for what is of the simulator, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'"

// page serves the human agent's side as a web page, at /_sim/.
func page() http.HandlerFunc {
	files := map[string]struct{ name, kind string }{
		"/_sim/":          {"agent.html", "text/html; charset=utf-8"},
		"/_sim/agent.js":  {"agent.js", "text/javascript; charset=utf-8"},
		"/_sim/agent.css": {"agent.css", "text/css; charset=utf-8"},
	}
	return func(w http.ResponseWriter, r *http.Request) {
		file, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", file.kind)
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		http.ServeFileFS(w, r, static, "static/"+file.name)
	}
}
