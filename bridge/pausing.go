package bridge

// remarks are what an operator should know of a bridge that is ready.
func (p *process) remarks() []string {
	state := p.paused.Load()
	if state == nil || !state.Paused {
		return nil
	}
	remark := "commands are paused"
	for _, part := range []struct{ word, value string }{{" since ", state.Since.String()}, {" by ", state.By}, {": ", state.Reason}} {
		if part.value != "" {
			remark += part.word + part.value
		}
	}
	return []string{remark}
}
