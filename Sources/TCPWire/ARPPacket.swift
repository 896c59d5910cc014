/// An ARP packet for IPv4 over Ethernet (RFC 826).
public struct ARPPacket: Sendable, Equatable {
    /// Octets of the packet.
    public static var length: Int { 28 }

    /// What it asks or tells.
    public enum Operation: UInt16, Sendable {
        /// Who has the target's address?
        case request = 1
        /// The sender has its address.
        case reply = 2
    }

    /// Request or reply.
    public var operation: Operation
    /// The sender's Ethernet address.
    public var senderHardware: MACAddress
    /// The sender's IPv4 address; `0.0.0.0` in a probe (RFC 5227 §1.1).
    public var sender: IPAddress
    /// The target's Ethernet address; without meaning in a request.
    public var targetHardware: MACAddress
    /// The target's IPv4 address.
    public var target: IPAddress

    /// A packet to send.
    public init(
        _ operation: Operation, senderHardware: MACAddress, sender: IPAddress,
        targetHardware: MACAddress = MACAddress(rawValue: 0), target: IPAddress
    ) {
        self.operation = operation
        self.senderHardware = senderHardware
        self.sender = sender
        self.targetHardware = targetHardware
        self.target = target
    }

    /// Reads the packet behind a frame's header; padding may follow it.
    ///
    /// - Throws: `truncated`, `badARP`, `arpSender`.
    public init(parsing packet: RawSpan) throws(EthernetFault) {
        guard packet.byteCount >= ARPPacket.length else { throw .truncated }
        // RFC 826, packet reception: hardware type, protocol, and the lengths that go with them.
        guard packet.be16(0) == 1, packet.be16(2) == EthernetHeader.Payload.ipv4.rawValue, packet.be16(4) == 0x0604,
            let operation = Operation(rawValue: packet.be16(6))
        else { throw .badARP }
        self.operation = operation
        senderHardware = packet.mac(8)
        sender = IPAddress(ipv4: packet.be32(14))
        targetHardware = packet.mac(18)
        target = IPAddress(ipv4: packet.be32(24))
        guard senderHardware.isUnicast else { throw .arpSender }
        // RFC 5227 §1.1: only a probe, which is a request, has no sender.
        guard sender.isValidSource && !sender.isLoopback || sender.isUnspecified && operation == .request else {
            throw .arpSender
        }
    }

    /// Writes the packet at `offset`.
    public func write(to frame: inout MutableRawSpan, at offset: Int) {
        frame.put64(0x0001_0800_0604_0000 | UInt64(operation.rawValue), at: offset)
        frame.put(senderHardware, at: offset &+ 8)
        frame.put32(sender.ipv4Bits, at: offset &+ 14)
        frame.put(targetHardware, at: offset &+ 18)
        frame.put32(target.ipv4Bits, at: offset &+ 24)
    }
}
