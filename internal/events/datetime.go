package events

import (
	"time"

	"github.com/rte-server/rte-server/internal/jsonscan"
)

// The range of a DateTime in seconds since 1970, and of its offset from UTC in seconds. .NET clients fail to read
// values out of these ranges.
const (
	minDateTime = -62135596800 // 0001-01-01T00:00:00Z
	maxDateTime = 253402300799 // 9999-12-31T23:59:59Z
	maxOffset   = 14 * 3600
)

// parseDateTime reads a date and time in the form of a .NET DateTime: ISO 8601 with any number of fractional digits
// (.NET writes up to seven), and with Z, an offset or no zone. No zone means UTC. Digits beyond nanoseconds are cut
// off.
func parseDateTime(s []byte) (t time.Time, ok bool) {
	const layout = "0000-00-00T00:00:00"
	if len(s) < len(layout) || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	century, year := twoDigits(s, 0), twoDigits(s, 2)
	month, day := twoDigits(s, 5), twoDigits(s, 8)
	hour, minute, second := twoDigits(s, 11), twoDigits(s, 14), twoDigits(s, 17)
	if century|year|month|day|hour|minute|second < 0 {
		return time.Time{}, false
	}
	year += 100 * century
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	nanos, rest := fraction(s[len(layout):])
	offset, ok := zoneOffset(rest)
	if !ok {
		return time.Time{}, false
	}
	seconds := int64(daysSinceEpoch(year, month, day))*86400 + int64(hour*3600+minute*60+second-offset)
	if seconds < minDateTime || seconds > maxDateTime {
		return time.Time{}, false
	}
	return time.Unix(seconds, int64(nanos)).UTC(), true
}

// twoDigits reads two decimal digits. It returns a negative number for other bytes.
func twoDigits(s []byte, i int) int {
	tens, units := s[i]-'0', s[i+1]-'0'
	if tens > 9 || units > 9 {
		return -1
	}
	return int(tens)*10 + int(units)
}

// fraction reads the optional fractional digits of a second as nanoseconds.
func fraction(s []byte) (nanos int, rest []byte) {
	if len(s) < 2 || s[0] != '.' {
		return 0, s
	}
	end := jsonscan.DigitsEnd(s, 1)
	for i := 1; i <= 9; i++ {
		nanos *= 10
		if i < end {
			nanos += int(s[i] - '0')
		}
	}
	if end == 1 {
		return 0, s
	}
	return nanos, s[end:]
}

// zoneOffset reads Z, +hh:mm, -hh:mm or nothing, as seconds east of UTC.
func zoneOffset(s []byte) (seconds int, ok bool) {
	if len(s) == 0 || len(s) == 1 && s[0] == 'Z' {
		return 0, true
	}
	if len(s) != len("+00:00") || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, false
	}
	hours, minutes := twoDigits(s, 1), twoDigits(s, 4)
	seconds = hours*3600 + minutes*60
	if hours|minutes < 0 || minutes > 59 || seconds > maxOffset {
		return 0, false
	}
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	default:
		return 31
	}
}

// daysSinceEpoch returns the number of days from 1970-01-01 to a date of the Gregorian calendar. It counts years from
// March, so the leap day is the last day of its year. It is several times faster than time.Date, and every event has a
// timestamp to read.
func daysSinceEpoch(year, month, day int) int {
	if month <= 2 {
		year--
		month += 12
	}
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	return year*365 + year/4 - year/100 + year/400 + dayOfYear - 719468
}
