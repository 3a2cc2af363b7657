package webhook

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// checkEvery is how often a registration is checked.
const checkEvery = time.Hour

// Registrar registers the webhook with the vendor.
type Registrar struct {
	// Create makes a webhook at the vendor's API. An error that has a method AlreadyDone() bool which returns true says that the webhook
	// is there already.
	Create func(ctx context.Context, url string, subscriptions []string) error
	Config Config
	Log    *slog.Logger
}

// Register registers the webhook once. That it is there already is success.
func (r *Registrar) Register(ctx context.Context) error {
	target, err := r.Target()
	if err != nil {
		return err
	}
	err = r.Create(ctx, target, r.Config.Subscriptions)
	var already interface{ AlreadyDone() bool }
	if errors.As(err, &already) && already.AlreadyDone() {
		return nil
	}
	return err
}

// Run registers the webhook and, as the vendor has no call that lists webhooks, does so again once an hour, in case somebody deleted it.
// What fails is tried again, ever more seldom. Run returns nil when ctx ends, and at once if no public URL is configured.
func (r *Registrar) Run(ctx context.Context) error {
	if r.Config.PublicURL == "" {
		return nil
	}
	pause := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(time.Second), backoff.WithMaxInterval(10*time.Minute), backoff.WithMaxElapsedTime(0))
	var failing trouble
	registered := false
	for ctx.Err() == nil {
		err := r.Register(ctx)
		switch {
		case err == nil:
			if failing.Done() || !registered {
				r.Log.Info("the webhook is registered", "subscriptions", r.Config.Subscriptions)
			}
			registered = true
			pause.Reset()
			wait(ctx, checkEvery)
		case ctx.Err() == nil:
			failing.Do(err, func() { r.Log.Error("the webhook is not registered", "error", err) })
			wait(ctx, pause.NextBackOff())
		}
	}
	return nil
}

// Target returns the public URL of the webhook with the first path token, unless the configured one is complete already. It is an error if the configured
// one is no absolute URL, or if the file of the path tokens cannot be read.
func (r *Registrar) Target() (string, error) {
	u, err := url.Parse(r.Config.PublicURL)
	if err != nil || u.Host == "" {
		return "", errors.New("webhook: public_url is not an absolute URL")
	}
	if strings.Contains(u.Path, Path) && !strings.HasSuffix(u.Path, Path) {
		return u.String(), nil
	}
	tokens := r.Config.PathTokens
	if r.Config.PathTokensFile != "" {
		if tokens, err = readTokens(r.Config.PathTokensFile); err != nil {
			return "", err
		}
	}
	base := u.JoinPath(strings.TrimSuffix(Path, "/"))
	if strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), strings.TrimSuffix(Path, "/")) {
		base = u
	}
	if len(tokens) == 0 {
		return strings.TrimSuffix(base.String(), "/") + "/", nil
	}
	return base.JoinPath(tokens[0]).String(), nil
}
