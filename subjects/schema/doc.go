// Package schema describes what is on the bus as JSON Schema (draft 2020-12, in the part of it that draft 07 has, too), made from the tables
// and types of package subjects.
//
// The schema of a command accepts what [subjects.Decode] accepts. A schema speaks of values and not of how they are written, so this it
// cannot say, and Decode refuses it besides: a body that is not UTF-8, a member that occurs twice in an object, anything after the object, an
// integer that is written with a fraction or an exponent (7.0, 7e0) or as -0, and an id of more than 256 bytes that has fewer characters.
//
// The schemas of events are open: the vendor adds members, and nothing but the event's name is sure to be there.
package schema
