import TCPEngine
import TCPWire

/// A node of the timing wheel, inside what it belongs to.
struct TimerNode {
    var next = UInt32.max
    /// The node before, or the list's head; `.max` while the timer is off.
    var previous = UInt32.max
    /// The low 32 bits of the tick it is due at.
    var tick: UInt32 = 0

    var isOn: Bool { previous != .max }
}

/// One hierarchical timing wheel for all timers of a stack: six levels of 64 slots, a tick of 2¹⁷ ns. Starting, stopping and
/// firing cost the same however many timers run. A timer fires at its tick or up to one tick late, never early.
struct TimingWheel: ~Copyable {
    private static let levels = 6
    private static let slots = 64
    private static let tickShift: Int64 = 17
    private static let headFlag: UInt32 = 0xFE00_0000
    private static let none = UInt32.max
    /// The farthest a timer can be set: what lies beyond fires early, and its owner sets it anew.
    private static let horizon: Int64 = 1 &<< 30

    private var heads = [UInt32](repeating: none, count: levels * slots)
    private var bitmaps: InlineArray<6, UInt64> = .init(repeating: 0)
    /// The tick up to which everything has fired.
    private var current: Int64
    private(set) var count = 0

    init(at now: Instant) { current = now.nanoseconds &>> TimingWheel.tickShift }

    var bytes: Int { heads.count &* 4 }

    private static func tick(_ instant: Instant) -> Int64 {
        let shifted = instant.nanoseconds &>> tickShift
        return instant.nanoseconds & (1 &<< tickShift &- 1) == 0 ? shifted : shifted &+ 1
    }

    private func tick(of node: TimerNode) -> Int64 {
        current &+ Int64(Int32(bitPattern: node.tick &- UInt32(truncatingIfNeeded: current)))
    }

    /// The low 32 bits of the tick at which a timer for `instant` is due.
    func tick(for instant: Instant) -> UInt32 {
        UInt32(truncatingIfNeeded: min(max(TimingWheel.tick(instant), current &+ 1), current &+ TimingWheel.horizon))
    }

    /// When the timer of `node` is due; `nil` while it is off.
    func due(_ node: TimerNode) -> Instant? {
        node.isOn ? Instant(nanoseconds: tick(of: node) &<< TimingWheel.tickShift) : nil
    }

    /// Sets the timer of `id`; one that runs later than `instant` is set earlier, one that is earlier stays (and its owner
    /// sets it anew when it fires): most deadlines only ever move away.
    mutating func schedule(_ id: FlowID, at instant: Instant, _ tables: inout Tables) {
        let due = min(max(TimingWheel.tick(instant), current &+ 1), current &+ TimingWheel.horizon)
        let node = tables[timer: id]
        if node.isOn {
            if tick(of: node) <= due { return }
            unlink(node, &tables)
        }
        link(id, at: due, &tables)
    }

    /// Sets the timer to `instant`, whenever it was due before.
    mutating func reschedule(_ id: FlowID, at instant: Instant, _ tables: inout Tables) {
        cancel(id, &tables)
        schedule(id, at: instant, &tables)
    }

    /// Stops the timer.
    mutating func cancel(_ id: FlowID, _ tables: inout Tables) {
        let node = tables[timer: id]
        guard node.isOn else { return }
        unlink(node, &tables)
        tables[timer: id] = TimerNode()
    }

    private mutating func link(_ id: FlowID, at due: Int64, _ tables: inout Tables) {
        let delta = due &- current
        var level = 0
        while level < TimingWheel.levels &- 1, delta >= 1 &<< Int64(6 &* (level &+ 1)) { level &+= 1 }
        let slot = Int(due &>> Int64(6 &* level)) & 63
        let head = level &* TimingWheel.slots &+ slot
        let first = heads[head]
        tables[timer: id] = TimerNode(
            next: first, previous: TimingWheel.headFlag | UInt32(head), tick: UInt32(truncatingIfNeeded: due))
        if first != TimingWheel.none { tables[timer: FlowID(rawValue: first)].previous = id.rawValue }
        heads[head] = id.rawValue
        bitmaps[level] |= 1 &<< UInt64(slot)
        count &+= 1
    }

    private mutating func unlink(_ node: TimerNode, _ tables: inout Tables) {
        if node.next != TimingWheel.none { tables[timer: FlowID(rawValue: node.next)].previous = node.previous }
        if node.previous & TimingWheel.headFlag == TimingWheel.headFlag {
            let head = Int(node.previous & 0xFFFF)
            heads[head] = node.next
            if node.next == TimingWheel.none { bitmaps[head / 64] &= ~(1 &<< UInt64(head % 64)) }
        } else {
            tables[timer: FlowID(rawValue: node.previous)].next = node.next
        }
        count &-= 1
    }

    /// The next tick at which a slot fires or is spread over the level below.
    private var nextTick: Int64? {
        var best: Int64?
        for level in 0..<TimingWheel.levels where bitmaps[level] != 0 {
            let shift = Int64(6 &* level)
            let position = current &>> shift
            let start = UInt64((position &+ 1) & 63)
            // Rotated so that bit 0 is the slot after the current one.
            let rotated = start == 0 ? bitmaps[level] : bitmaps[level] &>> start | bitmaps[level] &<< (64 &- start)
            let tick = (position &+ 1 &+ Int64(rotated.trailingZeroBitCount)) &<< shift
            if best.map({ tick < $0 }) ?? true { best = tick }
        }
        return best
    }

    /// A time at which to call `pop`: not after the first timer is due.
    var nextDeadline: Instant? {
        nextTick.map { Instant(nanoseconds: $0 &<< TimingWheel.tickShift) }
    }

    /// The next timer due at `now`, which is off afterwards.
    mutating func pop(at now: Instant, _ tables: inout Tables) -> FlowID? {
        let target = now.nanoseconds &>> TimingWheel.tickShift
        while true {
            let head = Int(current & 63)
            let first = heads[head]
            if first != TimingWheel.none, tick(of: tables[timer: FlowID(rawValue: first)]) <= current {
                let id = FlowID(rawValue: first)
                cancel(id, &tables)
                return id
            }
            guard let next = nextTick, next <= target else {
                current = max(current, target)
                return nil
            }
            current = next
            cascade(&tables)
        }
    }

    private mutating func cascade(_ tables: inout Tables) {
        for level in stride(from: TimingWheel.levels &- 1, to: 0, by: -1)
        where current & (1 &<< Int64(6 &* level) &- 1) == 0 {
            let slot = Int(current &>> Int64(6 &* level)) & 63
            let head = level &* TimingWheel.slots &+ slot
            var id = heads[head]
            heads[head] = TimingWheel.none
            bitmaps[level] &= ~(1 &<< UInt64(slot))
            while id != TimingWheel.none {
                let node = tables[timer: FlowID(rawValue: id)]
                count &-= 1
                link(FlowID(rawValue: id), at: tick(of: node), &tables)
                id = node.next
            }
        }
    }
}
