package cxsim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// send makes one attempt at a delivery, or what a fault makes of it.
func (s *Sim) send(d *delivery) outcome {
	if !d.judged {
		d.judged = true
		d.verdict = s.faults.judge(occasion{
			op: OpDelivery, tenant: d.tenant.domain, conversation: d.conversation, event: d.event, channel: d.target.channel,
		})
		if d.verdict.delay > 0 {
			return outcome{retry: true, again: d.verdict.delay}
		}
	}
	if d.verdict.Effect == EffectReorder && !d.released {
		d.released = true
		return outcome{hold: true}
	}
	body, err := d.body()
	if err == nil && d.verdict.Effect == EffectDrop {
		err = errors.New("dropped")
	}
	if err != nil {
		s.logAttempt(d, 0, attempt{err: err})
		return outcome{}
	}
	copies := 0
	if d.verdict.Effect == EffectDuplicate || d.verdict.Effect == EffectDuplicateNewID {
		copies = max(d.verdict.Copies, 1)
	}
	d.attempt++
	first := s.post(d, body, 0)
	for n := 1; n <= copies; n++ {
		s.post(d, body, n)
	}
	return s.afterwards(d, first)
}

// afterwards decides what follows an attempt, which depends on the version of the platform.
func (s *Sim) afterwards(d *delivery, a attempt) outcome {
	if a.ok() {
		return outcome{}
	}
	if d.target.channel == ToWebhook {
		if s.opt.WebhookAttempts < 0 || d.attempt < s.opt.WebhookAttempts {
			return outcome{retry: true, again: s.opt.RetryWait}
		}
		return outcome{}
	}
	if d.target.channel == ToInbox {
		if d.event == "message_created" && s.ctx.Err() == nil {
			d.tenant.messageFailed(d.conversation, d.message)
		}
		return outcome{}
	}
	feat := d.tenant.feat
	again := a.status == http.StatusTooManyRequests || a.status == http.StatusInternalServerError
	if feat.botRetries && again && d.attempt < botAttempts {
		return outcome{retry: true, again: s.opt.RetryWait}
	}
	if feat.botFailureOpens && strings.HasPrefix(d.event, "message_") && s.ctx.Err() == nil {
		d.tenant.botFailed(d.conversation)
	}
	return outcome{}
}

const botAttempts = 3

// body is what is sent, as the fault has it.
func (d *delivery) body() ([]byte, error) {
	body, err := d.payload.bytes()
	if err != nil {
		return nil, err
	}
	if d.verdict.Effect == EffectUnknownEvent {
		return bytes.Replace(body, []byte(`"event":"`+d.event), []byte(`"event":"something_new`), 1), nil
	}
	return spoil(d.verdict, body), nil
}

// id of a delivery is the same for its repeats; a copy may have one of its own.
func (s *Sim) deliveryID(d *delivery, copies int) string {
	if copies > 0 && d.verdict.Effect == EffectDuplicateNewID {
		return uuidOf(s.opt.Seed, "delivery copy "+strconv.Itoa(copies), d.seq)
	}
	return uuidOf(s.opt.Seed, "delivery", d.seq)
}

// attempt is what came of one request.
type attempt struct {
	status int
	err    error
	body   []byte
}

func (a attempt) ok() bool { return a.err == nil && a.status >= 200 && a.status < 300 }

func (s *Sim) post(d *delivery, body []byte, copies int) attempt {
	a := attempt{body: body}
	a.status, a.err = s.request(d, body, copies)
	s.logAttempt(d, copies, a)
	return a
}

func (s *Sim) logAttempt(d *delivery, copies int, a attempt) {
	entry := Delivery{
		Time: s.opt.Now().UTC(), Tenant: d.tenant.domain, Channel: d.target.channel, TargetID: d.target.id,
		Event: d.event, ConversationID: d.conversation, MessageID: d.message, DeliveryID: s.deliveryID(d, copies),
		Attempt: d.attempt, Status: a.status, Fault: d.verdict.label,
	}
	if a.err != nil {
		entry.Error = reasonOf(a.err)
	}
	if !s.opt.NoDeliveryBodies {
		entry.Body = string(a.body)
	}
	s.noteDelivery(entry)
}

// reasonOf is an error without the address, which may hold a secret path.
func reasonOf(err error) string {
	var inURL *url.Error
	if errors.As(err, &inURL) {
		return inURL.Err.Error()
	}
	return err.Error()
}

func (s *Sim) request(d *delivery, body []byte, copies int) (int, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.opt.WebhookTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.target.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	if s.opt.BlockPrivate && private(r.URL.Hostname()) {
		return 0, errors.New("the address is private")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if d.tenant.feat.deliveryID {
		r.Header.Set("X-Chatwoot-Delivery", s.deliveryID(d, copies))
	}
	s.sign(r, d, body)
	response, err := s.client.Do(r)
	if err != nil {
		return 0, err
	}
	// The body of an answer means nothing to the platform; it is read so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
	return response.StatusCode, response.Body.Close()
}

func private(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast())
}

// sign puts time and signature into the headers of a delivery, if it is to be signed.
func (s *Sim) sign(r *http.Request, d *delivery, body []byte) {
	if d.target.secret == "" || d.verdict.Effect == EffectNoSignature {
		return
	}
	at := s.opt.Now()
	if d.verdict.Effect == EffectStaleSignature {
		at = at.Add(-time.Hour)
	}
	secret := d.target.secret
	if d.verdict.Effect == EffectWrongSignature {
		secret += "-wrong"
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	r.Header.Set(s.opt.TimestampHeader, timestamp)
	r.Header.Set(s.opt.SignatureHeader, Sign(secret, timestamp, body))
}

// Sign makes the signature of a delivery: "sha256=" and the hex HMAC-SHA256 of the timestamp (seconds since 1970), a
// full stop, and the body.
func Sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
