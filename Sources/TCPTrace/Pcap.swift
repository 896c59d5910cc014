public import TCPWire

/// Writes packets in the classic pcap format, which tcpdump and Wireshark read: little-endian, time stamps in nanoseconds,
/// packets that start with their IP header, or Ethernet frames. It makes bytes; where these go is the caller's business.
public struct PcapWriter: Sendable {
    /// What the packets of a file begin with, by its number in the file's header.
    public enum LinkType: UInt32, Sendable {
        /// An Ethernet header.
        case ethernet = 1
        /// The IP header.
        case raw = 101
    }

    /// What every packet begins with.
    public let linkType: LinkType
    /// The most octets of a packet that are kept: longer ones are cut, and their length is told.
    public var snapLength: Int

    /// A writer that keeps up to `snapLength` octets of each packet.
    public init(snapLength: Int = 262_144, linkType: LinkType = .raw) {
        self.snapLength = max(0, snapLength)
        self.linkType = linkType
    }

    /// Appends the file's header: 24 octets, once, before the first packet.
    public func appendHeader(to file: inout [UInt8]) {
        append(0xA1B2_3C4D, to: &file)
        append(2 | 4 << 16, to: &file)  // version 2.4, 16 bits each
        append(0, to: &file)  // time zone
        append(0, to: &file)  // accuracy
        append(UInt32(clamping: snapLength), to: &file)
        append(linkType.rawValue, to: &file)
    }

    /// Appends a packet.
    ///
    /// - Parameters:
    ///   - packet: from the header on that `linkType` says.
    ///   - nanoseconds: the time, since 1970 or whatever origin the file has; negative times count as zero.
    ///   - file: where to append the packet's 16 octets of header and its octets.
    public func append(_ packet: RawSpan, atNanoseconds nanoseconds: Int64, to file: inout [UInt8]) {
        let kept = min(packet.byteCount, snapLength)
        let time = max(0, nanoseconds)
        append(UInt32(truncatingIfNeeded: time / 1_000_000_000), to: &file)
        append(UInt32(truncatingIfNeeded: time % 1_000_000_000), to: &file)
        append(UInt32(clamping: kept), to: &file)
        append(UInt32(clamping: packet.byteCount), to: &file)
        packet.extracting(0..<kept).withUnsafeBytes { file.append(contentsOf: $0) }
    }

    /// Appends a packet at an instant counted from the file's origin.
    public func append(_ packet: RawSpan, at time: Instant, to file: inout [UInt8]) {
        append(packet, atNanoseconds: time.nanoseconds, to: &file)
    }

    private func append(_ number: UInt32, to file: inout [UInt8]) {
        for shift in [UInt32(0), 8, 16, 24] { file.append(UInt8(truncatingIfNeeded: number &>> shift)) }
    }
}
