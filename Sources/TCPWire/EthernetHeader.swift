/// What the header of an Ethernet II frame says (RFC 894, RFC 2464 §3).
public struct EthernetHeader: Sendable, Equatable {
    /// Octets of the header.
    public static var length: Int { 14 }

    /// What a frame carries.
    public enum Payload: UInt16, Sendable {
        /// An IPv4 packet.
        case ipv4 = 0x0800
        /// ARP.
        case arp = 0x0806
        /// An IPv6 packet.
        case ipv6 = 0x86DD
    }

    /// Where it goes.
    public var destination: MACAddress
    /// Where it comes from.
    public var source: MACAddress
    /// What it carries.
    public var payload: Payload

    /// A header to send.
    @inlinable public init(destination: MACAddress, source: MACAddress, payload: Payload) {
        self.destination = destination
        self.source = source
        self.payload = payload
    }

    /// Reads the header at the start of a frame.
    ///
    /// - Throws: `truncated`, `badSource`, `lengthField`, `vlanTag`, `unknownType`.
    public init(parsing frame: RawSpan) throws(EthernetFault) {
        guard frame.byteCount >= EthernetHeader.length else { throw .truncated }
        destination = frame.mac(0)
        source = frame.mac(6)
        // IEEE 802.3 §3.2.3: a source is one interface.
        guard source.isUnicast else { throw .badSource }
        let type = frame.be16(12)
        guard let payload = Payload(rawValue: type) else {
            // RFC 1122 §2.3.3: below 1,536 it is a length, as in RFC 1042's frames.
            if type < 1536 { throw .lengthField }
            throw type == 0x8100 || type == 0x88A8 ? .vlanTag : .unknownType
        }
        self.payload = payload
    }

    /// Writes the header at the start of `frame`.
    @inlinable
    public func write(to frame: inout MutableRawSpan) {
        frame.put(destination, at: 0)
        frame.put(source, at: 6)
        frame.put16(payload.rawValue, at: 12)
    }
}
