import TCPEngine
import TCPSockets
import TCPWire

/// What `--so_flags` says: settings of the kernel, and how long `netdev_receive` waits.
struct Flags {
    var settings = KernelSettings()
    /// How long the stack may have nothing to send before the caller is told that nothing will come.
    var limit: Duration = .seconds(150)

    /// The settings of packetdrill's own tests, unless told otherwise. Reads `key=value,key=value`. What cannot be read is told in `complaints`, a sentence each, and changes nothing.
    init(_ text: String, complaints: inout [String]) {
        settings.fastOpen = 3
        settings.fastOpenKey = KernelSettings.fastOpenTestKey
        for item in text.split(whereSeparator: { $0 == "," || $0 == " " }) {
            let parts = item.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else {
                complaints.append("\"\(item)\" is not of the form key=value.")
                continue
            }
            if !take(parts[0], parts[1]) {
                let known = Flags.keys.map(\.name).joined(separator: ", ")
                complaints.append(
                    Flags.keys.first { $0.name == parts[0] }.map { "\"\(item)\": \(parts[0]) is \($0.meaning)." }
                        ?? "\"\(parts[0])\" is not known; these are: \(known).")
            }
        }
    }

    static let keys: [(name: String, meaning: String)] = [
        ("local", "an address of this host, IPv4 or IPv6"), ("mtu", "octets, 68 to 65535"),
        ("rcvbuf", "octets, 1 to 1073741824"), ("sndbuf", "octets, 1 to 1073741824"), ("wscale", "0 to 14"),
        ("iw", "segments, 1 to 100"), ("cc", "cubic, newreno or bbr"), ("ackpolicy", "linux or rfc"),
        ("rtomin", "milliseconds, 1 to 60000"), ("rto", "milliseconds, 1 to 60000"), ("ts", "0 or 1"),
        ("sack", "0 or 1"), ("ecn", "Linux's net.ipv4.tcp_ecn, 0 to 5"), ("msl", "seconds, 1 to 3600"),
        ("limit", "seconds, 1 to 1000000"), ("flavour", "linux or freebsd"), ("mtuprobing", "0, 1 or 2"),
        ("tfo", "Linux's net.ipv4.tcp_fastopen without 4 and 512, 0 to 1048575"), ("tfokey", "32 hexadecimal digits"),
        ("frto", "0 or 1"), ("tlp", "0 or 1"),
    ]

    private mutating func take(_ key: String, _ value: String) -> Bool {
        func number(_ range: ClosedRange<Int>) -> Int? { Int(value).flatMap { range.contains($0) ? $0 : nil } }
        switch key {
        case "local":
            guard let address = IPAddress(value) else { return false }
            settings.addresses.append(AddressPrefix(address, length: address.isIPv4 ? 16 : 64))
            return true
        case "mtu": return set(number(68...65535)) { $0.mtu = $1 }
        case "rcvbuf": return set(number(1...1 << 30)) { $0.receiveBuffer = $1 }
        case "sndbuf": return set(number(1...1 << 30)) { $0.sendBuffer = $1 }
        case "wscale": return set(number(0...14)) { $0.windowScale = UInt8($1) }
        case "iw": return set(number(1...100)) { $0.initialWindow = $1 }
        case "cc":
            guard let control = CongestionControl(linuxName: value) else { return false }
            settings.congestionControl = control
            return true
        case "tlp": return set(number(0...1)) { $0.tailLossProbes = $1 == 1 }
        case "frto": return set(number(0...1)) { $0.forwardRTO = $1 == 1 }
        case "ackpolicy":
            guard value == "linux" || value == "rfc" else { return false }
            settings.acknowledgmentPolicy = value == "linux" ? .linux : .rfc
            return true
        case "rtomin": return set(number(1...60000)) { $0.minimumRTO = .milliseconds($1) }
        case "rto": return set(number(1...60000)) { $0.initialRTO = .milliseconds($1) }
        case "ts": return set(number(0...1)) { $0.timestamps = $1 == 1 }
        case "sack": return set(number(0...1)) { $0.selectiveAcknowledgment = $1 == 1 }
        case "mtuprobing": return set(number(0...2)) { $0.mtuProbing = $1 }
        case "tfo":
            guard let number = number(0...1_048_575), number & 0x204 == 0 else { return false }
            settings.fastOpen = number
            return true
        case "tfokey":
            guard value.utf8.count == 32, let first = UInt64(value.prefix(16), radix: 16),
                let second = UInt64(value.dropFirst(16), radix: 16)
            else { return false }
            settings.fastOpenKey = [first, second].flatMap { half in
                (0..<8).map { UInt8(truncatingIfNeeded: half >> UInt64(56 - 8 * $0)) }
            }
            return true
        case "ecn": return set(number(0...5)) { $0.explicitCongestionNotification = $1 }
        case "msl": return set(number(1...3600)) { $0.maximumSegmentLifetime = .seconds($1) }
        case "limit":
            guard let seconds = number(1...1_000_000) else { return false }
            limit = .seconds(seconds)
            return true
        case "flavour":
            guard value == "linux" || value == "freebsd" else { return false }
            settings.flavour = value == "linux" ? .linux : .freeBSD
            return true
        default: return false
        }
    }

    private mutating func set(_ number: Int?, _ body: (inout KernelSettings, Int) -> Void) -> Bool {
        guard let number else { return false }
        body(&settings, number)
        return true
    }
}
