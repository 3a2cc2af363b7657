package bridge

import (
	"context"
	"errors"
)

// checks are what makes a bridge ready: each proves by use that a part works.
func (p *process) checks() []check {
	all := []check{{"process", p.staying}, {"bus", p.broker.Healthy}, {"streams", p.streamsFit}}
	if p.cfg.Commands.Enabled {
		all = append(all, check{"commands", p.carriesOut})
	}
	if p.spool != nil {
		all = append(all, check{"spool", p.spool.Healthy})
	}
	return all
}

func (p *process) staying(context.Context) error {
	if p.stopping.Load() {
		return errors.New("the bridge is stopping")
	}
	return nil
}

// streamsFit tells what came of creating and checking the streams; that they still exist is part of the health of the bus.
func (p *process) streamsFit(context.Context) error {
	err := p.prepared.Load()
	if err == nil {
		return errors.New("not looked at yet")
	}
	return *err
}

// carriesOut proves that this bridge carries out commands, or that another one does.
func (p *process) carriesOut(ctx context.Context) error {
	e := p.elected.Load()
	if e == nil {
		return errors.New("waiting for the bus")
	}
	return e.working(ctx)
}
