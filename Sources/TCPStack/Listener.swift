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

/// A passive OPEN that stays: each SYN it takes becomes a connection of its own.
struct Listener {
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
    var isReported = false
    /// Half-open entries there are.
    var halfOpen = 0
    /// Connections that wait for `accept`, oldest first from `head`.
    var queue: [UInt32] = []
    var head = 0

    /// Bytes charged for a listener, its queue aside.
    static let cost = MemoryLayout<Listener>.stride

    var waiting: Int { queue.count &- head }

    mutating func enqueue(_ slot: UInt32) { queue.append(slot) }

    mutating func dequeue() -> UInt32? {
        guard head < queue.count else { return nil }
        let slot = queue[head]
        head &+= 1
        if head == queue.count {
            queue.removeAll()
            head = 0
        } else if head >= 64, head &* 2 >= queue.count {
            queue.removeFirst(head)
            head = 0
        }
        return slot
    }
}
