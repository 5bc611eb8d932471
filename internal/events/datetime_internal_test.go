package events

import (
	"fmt"
	"testing"
	"time"
)

func TestParseDateTime_equalsDotNet(t *testing.T) {
	tests := map[string]struct {
		text string
		want time.Time
	}{
		"UTC":   {"2020-01-01T12:00:00Z", time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC)},
		"Ticks": {"2023-10-19T14:21:19.7009158Z", time.Date(2023, 10, 19, 14, 21, 19, 700915800, time.UTC)},
		"MoreThanNanos": {
			"2023-10-19T14:21:19.12345678912345Z", time.Date(2023, 10, 19, 14, 21, 19, 123456789, time.UTC),
		},
		"WithoutZone":       {"2023-10-19T14:21:19", time.Date(2023, 10, 19, 14, 21, 19, 0, time.UTC)},
		"East":              {"2024-03-01T01:30:00+02:00", time.Date(2024, 2, 29, 23, 30, 0, 0, time.UTC)},
		"West":              {"2023-12-31T20:00:00.5-05:30", time.Date(2024, 1, 1, 1, 30, 0, 500000000, time.UTC)},
		"MinValue":          {"0001-01-01T00:00:00", time.Time{}},
		"MaxValue":          {"9999-12-31T23:59:59.9999999", time.Date(9999, 12, 31, 23, 59, 59, 999999900, time.UTC)},
		"LeapDayOf2000":     {"2000-02-29T00:00:00Z", time.Date(2000, 2, 29, 0, 0, 0, 0, time.UTC)},
		"LargestZoneOffset": {"2020-01-01T12:00:00+14:00", time.Date(2019, 12, 31, 22, 0, 0, 0, time.UTC)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got, ok := parseDateTime([]byte(tc.text)); !ok || !got.Equal(tc.want) {
				t.Errorf("got %v, %v, want %v", got, ok, tc.want)
			}
		})
	}

	for name, text := range map[string]string{
		"Empty": "", "DateOnly": "2020-01-01", "NoSeconds": "2020-01-01T12:00", "Letters": "2020-01-01Txx:00:00",
		"Space": "2020-01-01 12:00:00", "MonthZero": "2020-00-01T12:00:00", "MonthThirteen": "2020-13-01T12:00:00",
		"DayZero": "2020-01-00T12:00:00", "LeapDayOf1900": "1900-02-29T12:00:00", "April31": "2020-04-31T12:00:00",
		"HourTwentyFour": "2020-01-01T24:00:00", "MinuteSixty": "2020-01-01T12:60:00", "LeapSecond": "2016-12-31T23:59:60Z",
		"EmptyFraction": "2020-01-01T12:00:00.", "EmptyFractionWithZone": "2020-01-01T12:00:00.Z",
		"Comma":            "2020-01-01T12:00:00,5",
		"ZoneWithoutColon": "2020-01-01T12:00:00+0200", "ZoneTooFar": "2020-01-01T12:00:00+14:01",
		"ZoneMinutes": "2020-01-01T12:00:00+01:60",
		"ZoneLetters": "2020-01-01T12:00:00+xx:00", "Trailing": "2020-01-01T12:00:00Z ", "YearZero": "0000-01-01T00:00:00",
		"BeforeMinValue": "0001-01-01T00:00:00+01:00", "AfterMaxValue": "9999-12-31T23:59:59-01:00",
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := parseDateTime([]byte(text)); ok {
				t.Errorf("got %v", got)
			}
		})
	}

	// Package time normalizes days that do not exist, so they differ from what was read.
	t.Run("EveryDay", func(t *testing.T) {
		for year := 1890; year < 2110; year++ {
			for number := range 13 * 33 {
				month, day := number/33, number%33
				text := fmt.Sprintf("%04d-%02d-%02dT12:00:00", year, month, day)
				want := time.Date(year, time.Month(month), day, 12, 0, 0, 0, time.UTC)
				exists := want.Year() == year && want.Month() == time.Month(month) && want.Day() == day
				if got, ok := parseDateTime([]byte(text)); ok != exists || ok && !got.Equal(want) {
					t.Fatalf("%s: got %v, %v, want %v", text, got, ok, want)
				}
			}
		}
	})
}
