import TCPEngine
import TCPWire

/// The TIME-WAIT entries, the oldest first. All of them last 2 MSL, so that a list in the order of their entering is also in
/// the order of their ends: it needs no wheel, and knows the oldest. Its links are the entries' timer nodes.
struct TimeWaitList {
    /// In a node's `previous` this says that it is the first. No entry's number is as large, and it is not "off".
    private static let first = UInt32.max - 1
    private static let none = UInt32.max

    private var head = TimeWaitList.none
    private var tail = TimeWaitList.none
    private(set) var count = 0

    /// The slot of the oldest entry.
    var oldest: UInt32? { head == TimeWaitList.none ? nil : head }

    /// Adds an entry that ends at `tick` of the wheel, not before those that are there.
    mutating func append(_ slot: UInt32, tick: UInt32, _ tables: inout Tables) {
        tables.entries[slot].timer = TimerNode(
            next: TimeWaitList.none, previous: tail == TimeWaitList.none ? TimeWaitList.first : tail, tick: tick)
        if tail == TimeWaitList.none { head = slot } else { tables.entries[tail].timer.next = slot }
        tail = slot
        count &+= 1
    }

    /// Takes an entry out; its timer is off afterwards.
    mutating func remove(_ slot: UInt32, _ tables: inout Tables) {
        let node = tables.entries[slot].timer
        guard node.isOn else { return }
        if node.previous == TimeWaitList.first {
            head = node.next
        } else {
            tables.entries[node.previous].timer.next = node.next
        }
        if node.next == TimeWaitList.none {
            tail = node.previous == TimeWaitList.first ? TimeWaitList.none : node.previous
        } else {
            tables.entries[node.next].timer.previous = node.previous
        }
        tables.entries[slot].timer = TimerNode()
        count &-= 1
    }
}
