// Package asyncapi describes the whole contract on the bus as an AsyncAPI 3.0 document, made from the tables of package subjects, and
// renders that document as a page. It is written from the bridge's side: what the bridge sends, bots receive.
package asyncapi

//go:generate go test . -run TestTheCheckedInDocumentsAreCurrent -count=1 -update
