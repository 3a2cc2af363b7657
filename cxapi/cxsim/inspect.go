package cxsim

import "net/http"

func (s *Sim) inspector() http.Handler { return http.NewServeMux() }
