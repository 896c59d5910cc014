import TCPEngine

/// How near the budget is to its end, by what the stack does about it: each level does what those before it do, and more.
/// Never is a connection ended that a program holds.
public enum MemoryLevel: UInt8, Comparable, Sendable, CaseIterable {
    /// There is enough.
    case ample
    /// Buffers that nothing uses go back at once instead of a second later.
    case returningBuffers
    /// No advertised window grows.
    case holdingWindows
    /// Windows shrink as data arrives, never at their right edge (RFC 9293 SHLD-14); writes take less at a time.
    case shrinkingWindows
    /// The oldest TIME-WAIT entries end before their time.
    case endingTimeWait
    /// SYNs are answered with cookies (RFC 4987 §3.6), so that nothing is held for them.
    case sendingCookies
    /// SYNs and third segments are dropped; their senders try again.
    case refusingConnections
    /// The oldest connections that their program has let go of are reset.
    case resettingOrphans

    /// Whether `left` is farther from the end than `right`.
    public static func < (left: MemoryLevel, right: MemoryLevel) -> Bool { left.rawValue < right.rawValue }
}

/// Where the levels begin, in per cent of the budget, 0...100: of what is in use, idle buffers aside. They should grow in the
/// order they stand in.
public struct MemoryLevels: Sendable, Hashable {
    /// See `MemoryLevel.returningBuffers`.
    public var returningBuffers = 40
    /// See `MemoryLevel.holdingWindows`.
    public var holdingWindows = 50
    /// See `MemoryLevel.shrinkingWindows`.
    public var shrinkingWindows = 55
    /// See `MemoryLevel.endingTimeWait`.
    public var endingTimeWait = 70
    /// See `MemoryLevel.sendingCookies`.
    public var sendingCookies = 75
    /// See `MemoryLevel.refusingConnections`.
    public var refusingConnections = 80
    /// See `MemoryLevel.resettingOrphans`.
    public var resettingOrphans = 88
    /// Octets that arrive find no room from here on, so that those a program has taken over to answer can still be written.
    public var refusingOctets = 94
    /// Kept back at the end for what established connections need to acknowledge and to send again.
    public var keptBack = 3

    /// The defaults.
    public init() {}

    /// The same in bytes of a budget.
    func marks(of budget: Int) -> Budget.Marks {
        func mark(_ percent: Int) -> Int {
            let percent = min(max(percent, 0), 100)
            return budget / 100 &* percent &+ budget % 100 &* percent / 100
        }
        var marks = Budget.Marks()
        marks.returning = mark(returningBuffers)
        marks.holding = mark(holdingWindows)
        marks.shrinking = mark(shrinkingWindows)
        marks.ending = mark(endingTimeWait)
        marks.cookies = mark(sendingCookies)
        marks.refusing = mark(refusingConnections)
        marks.resetting = mark(resettingOrphans)
        marks.arriving = mark(refusingOctets)
        marks.keptBack = mark(keptBack)
        return marks
    }
}

extension Budget.Marks {
    /// Where a level begins, in bytes.
    func start(of level: MemoryLevel) -> Int {
        switch level {
        case .ample: 0
        case .returningBuffers: returning
        case .holdingWindows: holding
        case .shrinkingWindows: shrinking
        case .endingTimeWait: ending
        case .sendingCookies: cookies
        case .refusingConnections: refusing
        case .resettingOrphans: resetting
        }
    }

    /// The level at which `held` bytes are, where `level` was the last one told. One that was entered is left once an
    /// `ease` less than its start is held, so that a program is not told of it time and again.
    func level(at held: Int, after level: MemoryLevel, ease: Int) -> MemoryLevel {
        var result = level
        while let next = MemoryLevel(rawValue: result.rawValue &+ 1), held >= start(of: next) { result = next }
        while result > .ample, held < start(of: result) &- ease {
            result = MemoryLevel(rawValue: result.rawValue &- 1) ?? .ample
        }
        return result
    }
}
