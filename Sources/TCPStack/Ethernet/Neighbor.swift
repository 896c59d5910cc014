import TCPEngine
import TCPWire

/// What is known of a neighbor's reachability (RFC 4861 §7.3.2).
public enum NeighborState: UInt8, Sendable {
    /// Its address is asked for.
    case incomplete
    /// It was reachable within the last half minute or so.
    case reachable
    /// Whether it is reachable is not known, and nothing is sent to it.
    case stale
    /// A packet was sent to it: word from above may still confirm that it is reachable.
    case delay
    /// It is asked whether it is there.
    case probe
}

/// A frame that waits for its destination's address, or for the device.
struct Frame {
    /// The frame; of one that waits for an address, the first 14 octets are still to be written.
    var octets: [UInt8]
    /// What the device must know of it.
    var packet: TransmittedPacket

    /// A frame with nothing to be finished by the device.
    init(_ octets: [UInt8]) {
        self.octets = octets
        packet = TransmittedPacket(length: octets.count, headerLength: octets.count, transportOffset: octets.count)
    }

    /// A packet the stack wrote at offset 14 of `buffer`, told of as it lies in the frame.
    init(copying buffer: RawSpan, _ packet: TransmittedPacket) {
        self.packet = packet
        octets = [UInt8](repeating: 0, count: packet.length)
        var target = octets.mutableSpan
        // Safe: every octet of the array may have any value.
        var bytes = unsafe target.mutableBytes
        bytes.put(buffer.extracting(0..<packet.length), at: 0)
    }

    /// Writes the header in front.
    mutating func address(_ header: EthernetHeader) {
        var target = octets.mutableSpan
        // Safe: every octet of the array may have any value.
        var bytes = unsafe target.mutableBytes
        header.write(to: &bytes)
    }

    /// Bytes that a frame of that many octets is charged for: its octets, their array's header, and its place in a list.
    static func cost(_ count: Int) -> Int { count &+ 32 &+ 2 &* MemoryLayout<Frame>.stride }
}

/// A host or router on the link.
struct Neighbor: ~Copyable {
    /// The lists a neighbor can be in; who gives way first is decided by them.
    enum Class: Int {
        /// Its address is asked for.
        case resolving
        /// It was never found to be reachable.
        case unconfirmed
        /// It was found to be reachable once.
        case confirmed
    }

    let address: IPAddress
    var hardware = MACAddress(rawValue: 0)
    var state = NeighborState.incomplete
    var kind = Class.resolving
    /// RFC 4861's IsRouter flag.
    var isRouter = false
    /// Requests, or probes, since it came into this state.
    var attempts: UInt8 = 0
    /// Incomplete, delay and probe: when the next step is due. Reachable: until when.
    var deadline = Instant.distantFuture
    var links = ListLinks()
    /// Packets that wait for its address, oldest first.
    var waiting: [Frame] = []

    init(_ address: IPAddress) { self.address = address }

    /// Whether a timer runs for it.
    var hasTimer: Bool { state == .incomplete || state == .delay || state == .probe }
}
