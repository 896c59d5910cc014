import Foundation
import TCPEngine
import TCPSimulator
import TCPTrace
import TCPWire
import Testing

/// A real exchange between two Linux hosts: its packets, and the states that both kernels reported.
private struct Capture: Decodable {
    struct Packet: Decodable {
        var t: Double
        var frm: String
        var flags: String
        var seq: UInt32
        var ack: UInt32?
        var len: Int
        var delivered: Double?
    }

    struct Event: Decodable {
        var end: String
        var rport: Int?
        var to: String?
    }

    var packets: [Packet]
    var events: [Event]

    static func file(_ name: String) throws -> Data {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return try Data(contentsOf: folder.appending(path: "Captures/\(name)"))
    }

    init(named name: String) throws {
        self = try JSONDecoder().decode(Capture.self, from: Capture.file(name + ".truth.json"))
    }

    /// The states that the connection at an end passed through, the listener's left out.
    func states(_ end: String) -> [String] {
        events.filter { $0.end == end && $0.rport != 0 }.compactMap(\.to)
    }
}

/// A segment without what differs from run to run: numbers count from each side's ISS.
private struct Step: Equatable, CustomStringConvertible {
    var end: String
    var flags: String
    var sequence: UInt32
    var acknowledgment: UInt32?
    var length: Int
    var isDelivered: Bool

    var description: String {
        "\(end) \(flags) \(sequence) \(acknowledgment.map(String.init) ?? "-") +\(length)\(isDelivered ? "" : " lost")"
    }

    var isPureAcknowledgment: Bool { flags == "." && length == 0 }

    static func steps(of capture: Capture) -> [Step] {
        var initial: [String: UInt32] = [:]
        return capture.packets.map { packet in
            if packet.flags.contains("S") { initial[packet.frm] = packet.seq }
            let other = packet.frm == "A" ? "B" : "A"
            return Step(
                end: packet.frm, flags: packet.flags.filter { $0 != "P" },
                sequence: packet.seq &- (initial[packet.frm] ?? 0),
                acknowledgment: packet.ack.map { $0 &- (initial[other] ?? 0) }, length: packet.len,
                isDelivered: packet.delivered != nil)
        }
    }

    static func steps(of trace: Trace) -> [Step] {
        var initial: [String: UInt32] = [:]
        return trace.segments.map { segment in
            let end = segment.from == "client" ? "A" : "B"
            let raw = segment.header.sequence.rawValue
            if segment.header.flags.contains(.syn) { initial[end] = raw }
            var flags = ""
            for (flag, letter) in [(TCPFlags.fin, "F"), (.syn, "S"), (.rst, "R"), (.ack, ".")]
            where segment.header.flags.contains(flag) { flags += letter }
            let other = end == "A" ? "B" : "A"
            return Step(
                end: end, flags: flags, sequence: raw &- (initial[end] ?? 0),
                acknowledgment: segment.header.flags.contains(.ack)
                    ? segment.header.acknowledgment.rawValue &- (initial[other] ?? 0) : nil, length: segment.length,
                isDelivered: segment.isDelivered)
        }
    }

    /// How many segments one acknowledgment answers is a receiver's choice (RFC 9293 §3.8.6.3): of several in a row, the last.
    static func condensed(_ steps: [Step]) -> [Step] {
        steps.enumerated().filter { index, step in
            guard step.isPureAcknowledgment, index + 1 < steps.count else { return true }
            let next = steps[index + 1]
            return !(next.isPureAcknowledgment && next.end == step.end && next.sequence == step.sequence)
        }.map(\.element)
    }
}

@Suite("The scenes beside real captures")
struct CaptureTests {
    private static let pairs = [
        ("g01_handshake_four_segment_close", "close"), ("g02_three_segment_close", "close-three"),
        ("g03_half_close_data", "half-close"), ("g05_lost_synack", "lost-syn-ack"),
        ("g07_lost_last_ack", "lost-last-ack"), ("g09_simultaneous_open", "simultaneous-open"),
    ]

    @Test(
        "Each scene sends what Linux sent: the same ends, flags, relative numbers, lengths and losses", arguments: pairs
    )
    func segments(capture: String, scene: String) throws {
        let real = Step.condensed(Step.steps(of: try Capture(named: capture)))
        let ours = Step.condensed(Step.steps(of: play(scene).trace))
        if capture.hasPrefix("g09") {
            // What crosses has no order but that of each end.
            for end in ["A", "B"] { #expect(ours.filter { $0.end == end } == real.filter { $0.end == end }) }
        } else {
            #expect(ours == real)
        }
    }

    @Test("Each scene passes through the states that Linux reported", arguments: pairs)
    func states(capture: String, scene: String) throws {
        let real = try Capture(named: capture)
        let trace = play(scene).trace
        for (end, name) in [("A", "client"), ("B", "server")] {
            let changes = trace.stateChanges.filter { $0.end == name && $0.remote.port != 0 }
            // A state that lasts no time is one that polling cannot see.
            let ours = changes.enumerated().filter { index, change in
                index + 1 == changes.count || changes[index + 1].time > change.time
            }.map(\.element.to.name)
            let truth = real.states(end)
            #expect(Array(ours.prefix(truth.count)) == truth, "\(name)")
            #expect(ours.count == truth.count || ours.dropFirst(truth.count).elementsEqual(["CLOSED"]), "\(name)")
        }
    }

    @Test("The pcap reader and the header parsers read what Linux wrote, checksums and all", arguments: pairs)
    func pcap(capture: String, scene: String) throws {
        let packets = try PcapReader([UInt8](Capture.file(capture + ".pcap"))).packets
        // The file was taken at A: what A sent when it did, and what reached it when it arrived.
        func time(_ packet: Capture.Packet) -> Double { packet.frm == "A" ? packet.t : packet.delivered ?? 0 }
        let truth = try Capture(named: capture).packets.filter { $0.frm == "A" || $0.delivered != nil }
            .sorted { time($0) < time($1) }
        #expect(packets.count == truth.count)
        for (packet, expected) in zip(packets, truth) {
            let (ip, header, payload) = try #require(RawSegment.parse(packet.bytes))
            #expect(header.sequence.rawValue == expected.seq && payload.count == expected.len)
            #expect(!header.flags.contains(.ack) || header.acknowledgment.rawValue == expected.ack)
            let segment = packet.bytes.span.bytes.extracting(ip.headerLength..<ip.totalLength)
            let isValid = TCPHeader.isChecksumValid(segment, source: ip.source, destination: ip.destination)
            #expect(isValid)
        }
    }

    @Test("A capture of frames says that they are Ethernet's, and is read without their headers")
    func frames() throws {
        let frame = [UInt8](0..<14) + [0x45, 1, 2, 3]
        let writer = PcapWriter(linkType: .ethernet)
        var file: [UInt8] = []
        writer.appendHeader(to: &file)
        writer.append(frame.span.bytes, at: Instant(nanoseconds: 5), to: &file)
        // LINKTYPE_ETHERNET, little-endian, then the record's header of 16 octets.
        #expect(Array(file[20..<24]) == [1, 0, 0, 0])
        #expect(Array(file[40...]) == frame)
        let packets = try PcapReader(file).packets
        #expect(packets.map(\.bytes) == [[0x45, 1, 2, 3]])
        #expect(packets[0].time.nanoseconds == 5)
    }

    @Test("A file that is no pcap, or ends too early, is refused by name")
    func badFiles() throws {
        #expect(throws: PcapReader.Fault.notPcap) { try PcapReader([1, 2, 3]) }
        var file = try [UInt8](Capture.file("g01_handshake_four_segment_close.pcap"))
        file.removeLast()
        #expect(throws: PcapReader.Fault.truncated) { try PcapReader(file) }
        file[20] = 99
        #expect(throws: PcapReader.Fault.unknownLinkType(99)) { try PcapReader(file) }
    }
}
