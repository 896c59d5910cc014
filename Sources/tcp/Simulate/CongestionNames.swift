internal import ArgumentParser
internal import TCPEngine

/// What people call what the engine can do.
enum CongestionNames {
    /// `cubic`, `newreno` or `bbr`.
    static func name(_ control: CongestionControl) -> String {
        switch control {
        case .cubic: "cubic"
        case .newReno: "newreno"
        case .bbr: "bbr"
        }
    }

    /// One name.
    static func control(_ text: String) throws -> CongestionControl {
        guard let control = CongestionControl.allCases.first(where: { name($0) == text.lowercased() }) else {
            throw ValidationError("write cubic, newreno or bbr")
        }
        return control
    }

    /// One name, or several with commas between them.
    static func controls(_ text: String) throws -> [CongestionControl] {
        try text.split(separator: ",", omittingEmptySubsequences: false).map { part in
            let wanted = part.lowercased().filter { $0 != " " }
            guard let control = CongestionControl.allCases.first(where: { name($0) == wanted }) else {
                throw ValidationError("write cubic, newreno or bbr, or several with commas between them, as cubic,bbr")
            }
            return control
        }
    }

    /// What an option says: `off`, `on` or `accurate`.
    static func mode(_ text: String) throws -> ExplicitCongestion {
        guard let mode = ExplicitCongestion.allCases.first(where: { name($0) == text.lowercased() }) else {
            throw ValidationError("write off, on or accurate")
        }
        return mode
    }

    /// `off`, `on` or `accurate`.
    static func name(_ mode: ExplicitCongestion) -> String {
        switch mode {
        case .off: "off"
        case .on: "on"
        case .accurate: "accurate"
        }
    }
}
