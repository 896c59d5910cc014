/// The languages this package explains TCP in.
public enum Language: String, Sendable, CaseIterable {
    /// English.
    case english = "en"
    /// Simplified Chinese.
    case chinese = "zh"

    /// The language of a locale name as the environment gives it: `zh_CN.UTF-8` is Chinese, everything else English.
    public init(locale name: String) {
        let code = name.prefix { $0 != "_" && $0 != "-" && $0 != "." && $0 != "@" }
        self = code.lowercased() == "zh" ? .chinese : .english
    }
}

/// One text in every language.
public struct Phrase: Sendable, Hashable {
    /// In English.
    public var english: String
    /// In Simplified Chinese.
    public var chinese: String

    /// Makes a phrase.
    public init(_ english: String, _ chinese: String) {
        self.english = english
        self.chinese = chinese
    }

    /// The phrase in `language`.
    public subscript(language: Language) -> String {
        switch language {
        case .english: english
        case .chinese: chinese
        }
    }
}
