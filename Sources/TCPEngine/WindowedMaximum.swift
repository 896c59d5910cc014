/// The greatest of the values of a window of time, by the three best of its thirds (the filter of Kathleen Nichols, which
/// draft-ietf-ccwg-bbr-06 §5.5.5 names). Time is a count that goes up, modulo 2³².
package struct WindowedMaximum: BitwiseCopyable {
    private struct Entry: BitwiseCopyable {
        var value: UInt32 = 0
        var time: UInt32 = 0
    }

    private var first = Entry()
    private var second = Entry()
    private var third = Entry()

    package init() {}

    /// The maximum.
    package var value: UInt32 { first.value }

    /// Takes in `value` at `time`; the window is the last `length` counts.
    package mutating func add(_ value: UInt32, at time: UInt32, length: UInt32) {
        let entry = Entry(value: value, time: time)
        if value >= first.value || time &- third.time > length {
            // A new maximum, or nothing left in the window: all starts from here.
            first = entry
            second = entry
            third = entry
            return
        }
        if value >= second.value {
            second = entry
            third = entry
        } else if value >= third.value {
            third = entry
        }
        age(entry, length)
    }

    private mutating func age(_ entry: Entry, _ length: UInt32) {
        let elapsed = entry.time &- first.time
        if elapsed > length {
            // The maximum has left the window: the next ones move up.
            first = second
            second = third
            third = entry
            if entry.time &- first.time > length {
                first = second
                second = third
                third = entry
            }
        } else if second.time == first.time && elapsed > length / 4 {
            // A quarter has passed without a second best: take one from this quarter.
            second = entry
            third = entry
        } else if third.time == second.time && elapsed > length / 2 {
            third = entry
        }
    }
}
