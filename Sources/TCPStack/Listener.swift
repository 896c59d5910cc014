import TCPEngine
import TCPWire

/// The families of the addresses a listener serves.
package struct AddressFamilies: OptionSet, Sendable {
    package var rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let ipv4 = AddressFamilies(rawValue: 1)
    package static let ipv6 = AddressFamilies(rawValue: 2)
    package static let all: AddressFamilies = [.ipv4, .ipv6]
}

/// What is known of a listener at the moment, and what it has had to refuse. A queue that is full is a program that does not
/// accept: nothing is answered for it, and those refused try again.
public struct ListenerStatus: Sendable, Hashable {
    /// Connections that wait for `accept`, and the most that may.
    public var waiting: Int
    /// See `waiting`.
    public var backlog: Int
    /// Half-open entries, and the most that may be.
    public var halfOpen: Int
    /// See `halfOpen`.
    public var halfOpenLimit: Int
    /// SYNs answered with a cookie, and connections that came of one.
    public var cookies: UInt64
    /// See `cookies`.
    public var connectionsByCookie: UInt64
    /// SYNs and third segments dropped because too many connections waited for `accept`.
    public var refusedForQueue: UInt64
    /// SYNs dropped because there were too many half-open entries, and cookies were not to be used.
    public var refusedForHalfOpen: UInt64
    /// SYNs and third segments dropped because memory was near its end.
    public var refusedForMemory: UInt64

    /// Connections that came by Fast Open and have not shaken hands yet, and those of them that were reset lately.
    public var pendingFastOpens: Int

    /// Whether the listener takes no SYN until its program has accepted.
    public var isFull: Bool { waiting >= backlog }
}

/// A passive OPEN that stays: each SYN it takes becomes a connection of its own.
struct Listener {
    /// What it has counted.
    struct Tally {
        var cookies: UInt64 = 0
        var connectionsByCookie: UInt64 = 0
        var refusedForQueue: UInt64 = 0
        var refusedForHalfOpen: UInt64 = 0
        var refusedForMemory: UInt64 = 0
    }

    var port: UInt16
    /// The one local address it serves; `nil` is all.
    var address: IPAddress?
    /// The most connections that may wait for `accept`, and the most half-open ones.
    var backlog: Int
    var options: ConnectionOptions
    var families: AddressFamilies
    /// The window and the scale its SYN-ACKs offer: fixed, as a connection must keep to what its SYN-ACK said.
    var synWindow: Int
    var windowScale: UInt8
    var generation: UInt32
    var isOpen = true
    /// Whether the program was told, or will be, of a connection to accept.
    var isReported = false
    /// Whether it stands in the stack's list of those to tell of.
    var isAnnounced = false
    /// Half-open entries there are.
    var halfOpen = 0
    /// The count at which the last cookie was sent.
    var cookieCount = Int64.min / 2
    var tally = Tally()
    /// Connections that came by Fast Open and have not shaken hands yet.
    var fastOpen = PendingFastOpens()
    /// Connections that wait for `accept`, oldest first.
    var queue = Ring<UInt32>(filler: .max)

    /// Bytes charged for a listener and its place in the list of those to tell of, its queue aside.
    static let cost = MemoryLayout<Listener>.stride + 2 * MemoryLayout<ListenerID>.stride

    var waiting: Int { queue.count }

    func status(halfOpenLimit: Int, pendingFastOpens: Int) -> ListenerStatus {
        ListenerStatus(
            waiting: waiting, backlog: max(backlog, 1), halfOpen: halfOpen, halfOpenLimit: halfOpenLimit,
            cookies: tally.cookies, connectionsByCookie: tally.connectionsByCookie,
            refusedForQueue: tally.refusedForQueue, refusedForHalfOpen: tally.refusedForHalfOpen,
            refusedForMemory: tally.refusedForMemory, pendingFastOpens: pendingFastOpens)
    }
}
