public import TCPWire

/// Reads a classic pcap file: raw IP packets (link type 101), or Ethernet frames (1) whose header is left away.
public struct PcapReader: Sendable {
    /// Why a file cannot be read.
    public enum Fault: Error, Sendable, Equatable {
        /// The first four octets are not those of a pcap file.
        case notPcap
        /// The packets are of a kind not known here; the number is the file's link type.
        case unknownLinkType(UInt32)
        /// The file ends inside a record.
        case truncated
    }

    /// One packet of the file.
    public struct Packet: Sendable {
        /// When it was captured, since the epoch of the capturing machine.
        public var time: Instant
        /// Its octets from the IP header on.
        public var bytes: [UInt8]
    }

    /// The packets in the order of the file.
    public var packets: [Packet] = []

    /// Reads the whole content of a file.
    public init(_ file: [UInt8]) throws(Fault) {
        let bytes = file.span.bytes
        guard bytes.byteCount >= 24 else { throw .notPcap }
        let isBigEndian: Bool
        let nanosecondsPerUnit: Int64
        switch bytes.be32(0) {
        case 0xA1B2_C3D4: (isBigEndian, nanosecondsPerUnit) = (true, 1000)
        case 0xD4C3_B2A1: (isBigEndian, nanosecondsPerUnit) = (false, 1000)
        case 0xA1B2_3C4D: (isBigEndian, nanosecondsPerUnit) = (true, 1)
        case 0x4D3C_B2A1: (isBigEndian, nanosecondsPerUnit) = (false, 1)
        default: throw .notPcap
        }
        func word(_ offset: Int) -> UInt32 {
            let value = file.span.bytes.be32(offset)
            return isBigEndian ? value : value.byteSwapped
        }
        let skip: Int
        switch word(20) & 0xFFFF {
        case 101, 12, 228, 229: skip = 0
        case 1: skip = 14
        case let other: throw .unknownLinkType(other)
        }
        var offset = 24
        while offset < file.count {
            guard file.count - offset >= 16 else { throw .truncated }
            let length = Int(word(offset + 8))
            guard length <= file.count - offset - 16 else { throw .truncated }
            let time = Int64(word(offset)) * 1_000_000_000 + Int64(word(offset + 4)) * nanosecondsPerUnit
            let start = offset + 16 + min(skip, length)
            packets.append(Packet(time: Instant(nanoseconds: time), bytes: Array(file[start..<offset + 16 + length])))
            offset += 16 + length
        }
    }
}
