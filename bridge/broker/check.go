package broker

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// checker collects what is wrong with a stream: the first thing that breaks a guarantee, and all that is merely different.
type checker struct {
	name    string
	broken  *SettingError
	remarks []*SettingError
}

// edit is a command that changes the stream. Settings that a stream keeps for life need a new stream.
func (c *checker) edit(flags string) string { return "nats stream edit " + c.name + " " + flags }

func (c *checker) remake() string {
	return fmt.Sprintf("nats stream backup %s DIRECTORY && nats stream rm %s (this setting cannot be edited; the bridge then makes the stream anew)", c.name, c.name)
}

// need records a broken guarantee unless ok.
func (c *checker) need(ok bool, setting string, found, needed any, remedy string) {
	if !ok && c.broken == nil {
		c.broken = c.deviation(setting, found, needed, remedy)
	}
}

// prefer records a harmless difference unless ok.
func (c *checker) prefer(ok bool, setting string, found, needed any, remedy string) {
	if !ok {
		c.remarks = append(c.remarks, c.deviation(setting, found, needed, remedy))
	}
}

func (c *checker) deviation(setting string, found, needed any, remedy string) *SettingError {
	return &SettingError{Stream: c.name, Setting: setting, Found: fmt.Sprint(found), Needed: fmt.Sprint(needed), Remedy: remedy}
}

// checkStream compares a stream with what is needed. It returns a [SettingError] for what breaks a guarantee, else what is
// different and harmless.
func checkStream(want subjects.Stream, found jetstream.StreamConfig) ([]*SettingError, error) {
	c := &checker{name: want.Name}
	c.checkKind(want, found)
	c.checkKeeping(want, found)
	if want.DiscardNewPerSubject {
		c.checkLedger(want, found)
	}
	if c.broken != nil {
		return nil, c.broken
	}
	c.compare(want, found)
	return c.remarks, nil
}

// checkKind looks at what the stream takes and how it keeps it.
func (c *checker) checkKind(want subjects.Stream, found jetstream.StreamConfig) {
	c.need(covers(found.Subjects, want.Subjects), "subjects", strings.Join(found.Subjects, ","), strings.Join(want.Subjects, ","),
		c.edit("--subjects='"+strings.Join(want.Subjects, ",")+"'"))
	remedy := c.edit("--retention=limits")
	if found.Retention == jetstream.WorkQueuePolicy {
		remedy = c.remake()
	}
	c.need(found.Retention == jetstream.LimitsPolicy, "retention", found.Retention, jetstream.LimitsPolicy, remedy)
	c.need(found.Storage == jetstream.FileStorage, "storage", found.Storage, jetstream.FileStorage, c.remake())
	c.need(found.PersistMode == jetstream.DefaultPersistMode, "persist_mode", found.PersistMode, jetstream.DefaultPersistMode, c.remake())
	c.need(found.Mirror == nil, "mirror", "set", "none", c.edit("--no-mirror"))
	c.need(found.SubjectTransform == nil, "subject_transform", "set", "none", c.edit("--no-transform"))
	c.need(!found.NoAck, "no_ack", found.NoAck, false, c.edit("--ack"))
	c.need(!found.Sealed, "sealed", found.Sealed, false, c.remake())
}

// checkKeeping looks for what would lose messages, or let them in twice.
func (c *checker) checkKeeping(want subjects.Stream, found jetstream.StreamConfig) {
	c.need(found.Duplicates >= want.DuplicateWindow, "duplicate_window", found.Duplicates, want.DuplicateWindow, c.edit("--dupe-window="+short(want.DuplicateWindow)))
	if want.MaxMsgsPerSubject == 0 {
		c.need(found.MaxMsgsPerSubject <= 0, "max_msgs_per_subject", found.MaxMsgsPerSubject, "no limit", c.edit("--max-msgs-per-subject=-1"))
	}
}

// checkLedger looks at what makes a claim unique and lets it be read and taken back.
func (c *checker) checkLedger(want subjects.Stream, found jetstream.StreamConfig) {
	c.need(found.MaxMsgsPerSubject == want.MaxMsgsPerSubject, "max_msgs_per_subject", found.MaxMsgsPerSubject, want.MaxMsgsPerSubject,
		c.edit(fmt.Sprintf("--max-msgs-per-subject=%d", want.MaxMsgsPerSubject)))
	c.need(found.Discard == jetstream.DiscardNew, "discard", found.Discard, jetstream.DiscardNew, c.edit("--discard=new"))
	c.need(found.DiscardNewPerSubject, "discard_new_per_subject", found.DiscardNewPerSubject, true, c.edit("--discard-per-subject"))
	c.need(found.AllowMsgTTL, "allow_msg_ttl", found.AllowMsgTTL, true, c.edit("--allow-msg-ttl"))
	c.need(!found.DenyDelete, "deny_delete", found.DenyDelete, false, c.remake())
	c.need(!found.DenyPurge, "deny_purge", found.DenyPurge, false, c.remake())
	c.need(found.MaxAge == 0 || want.MaxAge > 0 && found.MaxAge >= want.MaxAge, "max_age", found.MaxAge, want.MaxAge, c.edit("--max-age="+short(want.MaxAge)))
}

// checkCommands makes sure that commands are not dropped before they were carried out.
func checkCommands(name string, found jetstream.StreamConfig) error {
	c := &checker{name: name}
	if found.Discard == jetstream.DiscardOld {
		c.need(found.MaxBytes <= 0, "max_bytes", found.MaxBytes, "no limit (the stream drops old messages)", c.edit("--max-bytes=-1"))
		c.need(found.MaxMsgs <= 0, "max_msgs", found.MaxMsgs, "no limit (the stream drops old messages)", c.edit("--max-msgs=-1"))
	}
	if c.broken != nil {
		return c.broken
	}
	return nil
}

// compare records what is different and breaks no guarantee.
func (c *checker) compare(want subjects.Stream, found jetstream.StreamConfig) {
	replicas := max(want.Replicas, 1)
	c.prefer(found.Replicas == replicas, "num_replicas", found.Replicas, replicas, c.edit(fmt.Sprintf("--replicas=%d", replicas)))
	if !want.Internal {
		c.prefer(found.MaxAge == want.MaxAge, "max_age", found.MaxAge, want.MaxAge, c.edit("--max-age="+short(want.MaxAge)))
	}
	c.prefer(found.AllowDirect || !want.AllowDirect, "allow_direct", found.AllowDirect, want.AllowDirect, c.edit("--allow-direct"))
	c.prefer(found.AllowMsgTTL || !want.AllowMsgTTL, "allow_msg_ttl", found.AllowMsgTTL, want.AllowMsgTTL, c.edit("--allow-msg-ttl"))
	c.prefer(found.AllowMsgSchedules || !want.AllowMsgSchedules, "allow_msg_schedules", found.AllowMsgSchedules, want.AllowMsgSchedules, c.edit("--allow-schedules"))
	if len(want.PlacementTags) > 0 {
		var tags []string
		if found.Placement != nil {
			tags = found.Placement.Tags
		}
		c.prefer(slices.Equal(tags, want.PlacementTags), "placement", tags, want.PlacementTags, c.edit("--tag="+strings.Join(want.PlacementTags, " --tag=")))
	}
}

// covers reports whether every needed subject is taken by one of the found ones.
func covers(found, needed []string) bool {
	for _, subject := range needed {
		if !slices.ContainsFunc(found, func(pattern string) bool { return includes(pattern, subject) }) {
			return false
		}
	}
	return true
}

// includes reports whether every subject that matches narrow also matches wide.
func includes(wide, narrow string) bool {
	w, n := strings.Split(wide, "."), strings.Split(narrow, ".")
	for i, token := range w {
		if token == ">" {
			return len(n) > i
		}
		if i >= len(n) || n[i] == ">" || token != "*" && token != n[i] {
			return false
		}
	}
	return len(w) == len(n)
}

// short writes a duration without parts that are zero: 1h, not 1h0m0s.
func short(d time.Duration) string {
	if d == 0 {
		return "-1"
	}
	text := d.String()
	text, _ = strings.CutSuffix(text, "0s")
	if !strings.HasSuffix(text, "m") {
		return d.String()
	}
	if hours, ok := strings.CutSuffix(text, "h0m"); ok {
		return hours + "h"
	}
	return text
}
