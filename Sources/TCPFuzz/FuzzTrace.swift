import Glibc
import TCPWire

/// Says what an input does, step by step: to understand a crash. Off unless a tool turns it on.
public enum FuzzTrace {
    /// Whether lines are printed.
    nonisolated(unsafe) public static var isOn = false

    static func line(_ text: @autoclosure () -> String) {
        guard isOn else { return }
        // Not buffered: what follows may end the process.
        _ = (text() + "\n").utf8CString.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count - 1) }
    }

    /// A packet in one line.
    static func describe(_ bytes: [UInt8]) -> String {
        guard let ip = try? IPHeader(parsing: bytes.span.bytes) else {
            return "\(bytes.count) octets that are no packet"
        }
        let body = Array(bytes[ip.headerLength..<ip.totalLength])
        guard ip.protocolNumber == IPProtocol.tcp, let tcp = try? TCPHeader(parsing: body.span.bytes) else {
            return "\(ip.source) > \(ip.destination) protocol \(ip.protocolNumber), \(body.count) octets"
        }
        var text = "\(ip.source):\(tcp.sourcePort) > \(ip.destination):\(tcp.destinationPort) "
        text += tcp.flags.names.joined(separator: ",")
        text += " seq \(tcp.sequence.rawValue) len \(body.count - tcp.headerLength)"
        if tcp.flags.contains(.ack) { text += " ack \(tcp.acknowledgment.rawValue)" }
        text += " win \(tcp.window)"
        for index in 0..<tcp.options.sackCount {
            let block = tcp.options.sackBlocks[index]
            text += " sack \(block.start.rawValue)-\(block.end.rawValue)"
        }
        if let stamps = tcp.options.timestamps { text += " ts \(stamps.value)/\(stamps.echo)" }
        return text
    }
}
